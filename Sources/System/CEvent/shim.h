/* SPDX-License-Identifier: ISC */
#include <sys/select.h>
#include <event2/event.h>
