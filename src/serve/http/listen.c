/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG 1024

static char *socket_name(int fd, bool *local)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    char text[INET6_ADDRSTRLEN] = "?";

    *local = false;
    if (getsockname(fd, (struct sockaddr *)&a, &size) != 0)
        return nst_xstrdup("?");
    if (a.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a;

        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        *local = (ntohl(in->sin_addr.s_addr) >> 24) == 127;
        return nst_xasprintf("http://%s:%d", text, ntohs(in->sin_port));
    }
    if (a.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&a;

        inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
        *local = IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
        return nst_xasprintf("http://[%s]:%d", text, ntohs(in->sin6_port));
    }
    *local = a.ss_family == AF_UNIX;
    return nst_xstrdup("a Unix socket");
}

/* Split ADDRESS:PORT; *address and *port are new strings. */
static bool split_address(const char *text, char **address, char **port)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;

    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        atol(colon + 1) > 65535)
        return false;
    *address = text[0] == '[' && n > 2 && text[n - 1] == ']'
                   ? nst_xasprintf("%.*s", (int)n - 2, text + 1)
                   : nst_xasprintf("%.*s", (int)n, text);
    *port = nst_xstrdup(colon + 1);
    return true;
}

static int listen_on(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
         bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)) {
        int error = errno;

        close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

static enum nst_status open_socket(int *fd, const char *text, struct nst_err *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    char *address = NULL, *port = NULL;
    struct addrinfo *found = NULL;
    int error;

    if (!split_address(text, &address, &port))
        return nst_err_set(
            err, NST_ERR_ARG,
            "listen: '%s' is not ADDRESS:PORT with a port from 0 to 65535", text);
    error = getaddrinfo(*address ? address : NULL, port, &hints, &found);
    free(address);
    free(port);
    if (error)
        return nst_err_set(err, NST_ERR_ARG, "listen: '%s': %s", text,
                           gai_strerror(error));
    *fd = listen_on(found);
    error = errno;
    freeaddrinfo(found);
    return *fd >= 0 ? NST_OK
                    : nst_err_set(err, NST_ERR_IO, "cannot listen on %s: %s", text,
                                  strerror(error));
}

enum nst_status serve_listen(int *socket, bool *owned, const char *text, char **name,
                             bool *local, struct nst_err *err)
{
    enum nst_status st = NST_OK;
    int inherited = sd_listen_fds(1);

    if (inherited > 1)
        return nst_err_set(err, NST_ERR_ARG,
                           "systemd passed %d sockets: exactly one is supported",
                           inherited);
    *owned = inherited <= 0;
    if (*owned)
        st = open_socket(socket, text, err);
    else
        *socket = SD_LISTEN_FDS_START;
    if (st == NST_OK)
        *name = socket_name(*socket, local);
    return st;
}

void serve_notify(const char *state)
{
    sd_notify(0, state);
}
