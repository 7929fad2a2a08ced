/* SPDX-License-Identifier: ISC */
#include <lmdb.h>
