/* SPDX-License-Identifier: ISC */
#include <zlib.h>
