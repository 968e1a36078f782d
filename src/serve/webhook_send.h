/* SPDX-License-Identifier: MIT */
/* webhook_send.h - one signed POST to a public address. */
#ifndef NST_SERVE_WEBHOOK_SEND_H
#define NST_SERVE_WEBHOOK_SEND_H

#include <stdbool.h>

/* False if this build has no HTTP client. */
bool serve_webhook_is_supported(void);

/* True for an http or https URL with a host and without a user. */
bool serve_webhook_is_valid_url(const char *url);

enum serve_webhook_end {
    SERVE_WEBHOOK_TAKEN,  /* the response was 2xx */
    SERVE_WEBHOOK_FAILED, /* it may succeed later */
    SERVE_WEBHOOK_REFUSED /* the address is not public */
};

/* POST the JSON text. *problem is a new string, or NULL if it was taken. */
enum serve_webhook_end serve_webhook_send(const char *url, const char *text,
                                          const char *secret, char **problem);

#endif
