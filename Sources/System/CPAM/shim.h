/* SPDX-License-Identifier: ISC */
#include <security/pam_appl.h>
#include <crypt.h>
