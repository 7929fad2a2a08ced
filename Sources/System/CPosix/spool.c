/* SPDX-License-Identifier: ISC */
#include "CPosix.h"

#include <sys/eventfd.h>

int martlet_event_descriptor(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
