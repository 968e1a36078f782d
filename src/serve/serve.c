/* SPDX-License-Identifier: MIT */
/*
 * nst-serve - style transfer as a REST service that supervises nst. This file has
 * startup and shutdown.
 *
 * Each task runs in its own process (sandbox.h), so that a crash affects neither the
 * service nor other tasks. All persistent state is in one folder (store.h); the service
 * may be killed at any time.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/path.h"
#include "nst.h"
#include "serve/http/access_log.h"
#include "serve/http/auth.h"
#include "serve/http/events.h"
#include "serve/http/listen.h"
#include "serve/http/response.h"
#include "serve/http/server.h"
#include "serve/http/static_files.h"
#include "serve/lifetime.h"
#include "serve/log.h"
#include "serve/monitor.h"
#include "serve/options.h"
#include "serve/owners.h"
#include "serve/presets.h"
#include "serve/pictures.h"
#include "serve/quality.h"
#include "serve/queue/queue.h"
#include "serve/repair.h"
#include "serve/routes.h"
#include "serve/sandbox.h"
#include "serve/share_picture.h"
#include "serve/sides.h"
#include "serve/store.h"
#include "serve/styles.h"
#include "serve/webhook.h"

/* Process tasks of the queue until a signal. */
static enum nst_status run_worker(const struct serve_settings *s, struct nst_err *err)
{
    enum nst_status st = serve_store_open(s->data, true, s->prefix, err);

    if (st != NST_OK)
        return st;
    serve_owners_open(s);
    serve_styles_open(s);
    serve_monitor_open(s);
    st = serve_queue_open(s, NULL, err);
    if (st == NST_OK) {
        serve_log(SERVE_INFO, "processing tasks of the queue");
        serve_lifetime_wait(s);
        serve_lifetime_drain(s, false);
    }
    serve_queue->stop();
    serve_queue->close();
    serve_monitor_close();
    serve_styles_close();
    serve_store_close();
    return st;
}

/* Serve requests on a socket until a signal. */
static enum nst_status run_service(const struct serve_settings *s, int fd, bool owned,
                                   const char *name, struct nst_err *err)
{
    const struct serve_route *routes;
    enum nst_status st;

    serve_static_open(s->web);
    st = serve_routes_open(&routes, s, err);
    if (st == NST_OK)
        st = serve_store_open(s->data, s->queue != NULL, s->prefix, err);
    if (st == NST_OK)
        st = serve_auth_open(s, err);
    if (st != NST_OK)
        return st;
    serve_response_allow_origin(s->allow_origin);
    serve_owners_open(s);
    serve_styles_open(s);
    serve_monitor_open(s);
    st = serve_queue_open(s, serve_events_changed, err);
    if (st == NST_OK) {
        serve_sweep();
        serve_quality_open(s);
        serve_repair_open(s);
        st = serve_webhook_open(s, err);
    }
    if (st == NST_OK)
        st = serve_http_open(s, routes, fd, err);
    if (st == NST_OK) {
        serve_log(SERVE_INFO, "listening on %s", name);
        serve_lifetime_wait(s);
        serve_lifetime_drain(s, owned);
    }
    serve_queue->stop();
    serve_events_shutdown();
    serve_sandbox_shutdown();
    if (st == NST_OK)
        serve_http_close();
    serve_repair_close();
    serve_quality_close();
    serve_webhook_close();
    serve_queue->close();
    serve_monitor_close();
    serve_sides_close();
    serve_styles_close();
    serve_presets_reload();
    serve_static_close();
    serve_auth_close();
    serve_store_close();
    return st;
}

static enum nst_status run_server(const struct serve_settings *s, struct nst_err *err)
{
    char *name = NULL;
    bool local, owned;
    int fd = -1;
    enum nst_status st = serve_listen(&fd, &owned, s->listen, &name, &local, err);

    if (st == NST_OK && !local && !s->insecure && !s->tokens && !s->token_file)
        st = nst_err_set(err, NST_ERR_ARG,
                         "%s is a public address: needs --tokens, --token-file or "
                         "--insecure",
                         name);
    if (st == NST_OK)
        st = run_service(s, fd, owned, name, err);
    if (fd >= 0)
        close(fd);
    free(name);
    return st;
}

int main(int argc, char **argv)
{
    static struct serve_settings s = {.listen = "127.0.0.1:5000"};
    struct rlimit files;
    struct nst_err err;

    if (argc == 7 && strcmp(argv[1], "--thumbnail") == 0) /* pictures.h */
        return serve_thumbnail(argv[2], argv[3], argv[4], argv[5], argv[6]);
    if (argc == 3 && strcmp(argv[1], "--sides") == 0) /* sides.h */
        return serve_sides_print(argv[2]);
    if (argc == 4 && strcmp(argv[1], "--share-picture") == 0) /* share_picture.h */
        return serve_share_picture_child(argv[2], argv[3]);
    serve_lifetime_block_signals();
    nst_exit_setup(argv);
    serve_options_read(&s, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);                    /* writes fail with EFBIG instead */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* each connection needs one */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    setenv("VIPS_BLOCK_UNTRUSTED", "1", 1); /* for children that decode pictures */
    if (!serve_log_open(s.log_file, s.json_log)) {
        fprintf(stderr, "nst-serve: cannot open %s: %s\n", s.log_file, strerror(errno));
        return nst_exit_status(nst_open_status(errno));
    }
    if (s.access_log && !s.worker &&
        !serve_access_log_open(s.access_log, s.access_log_format)) {
        serve_log(SERVE_ERROR, "cannot open %s: %s", s.access_log, strerror(errno));
        return nst_exit_status(nst_open_status(errno));
    }
    serve_sandbox_open(s.model);
    if (serve_sandbox_gap())
        serve_log(SERVE_WARNING, "%s", serve_sandbox_gap());
    if ((s.worker ? run_worker(&s, &err) : run_server(&s, &err)) != NST_OK) {
        serve_log(SERVE_ERROR, "%s", err.text);
        return nst_exit_status(err.status);
    }
    serve_access_log_close();
    serve_sandbox_close();
    serve_log(SERVE_INFO, "ended");
    serve_log_close();
    return EXIT_SUCCESS;
}
