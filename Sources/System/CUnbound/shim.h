/* SPDX-License-Identifier: ISC */
#include <unbound.h>
#include <unbound-event.h>
