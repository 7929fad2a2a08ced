#include <sys/select.h>
#include <event2/event.h>
