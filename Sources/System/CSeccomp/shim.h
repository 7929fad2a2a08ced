/* SPDX-License-Identifier: ISC */
#include <seccomp.h>
