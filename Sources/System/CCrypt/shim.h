/* SPDX-License-Identifier: ISC */
#include <crypt.h>
