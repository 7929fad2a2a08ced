/* SPDX-License-Identifier: ISC */
#include <sqlite3.h>
