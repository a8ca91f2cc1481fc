# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running nodes and commands reach for no other machine: every attempt would be seen and refused.

A small library is loaded before all others; it stands in for the calls with which any code, also
that of native libraries, connects to others or asks for their addresses.
"""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.graph import Client

GUARD = r'''
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void tell(const char *what, const char *whom)
{
    FILE *file = fopen(getenv("NETWORK_GUARD"), "a");
    if (file) { fprintf(file, "%s %s\n", what, whom); fclose(file); }
}

static int is_ours(in_addr_t address)
{
    struct ifaddrs *all, *one;
    int found = (ntohl(address) >> 24) == 127 || address == 0;
    if (getifaddrs(&all)) return found;
    for (one = all; one; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET)
            found |= ((struct sockaddr_in *)one->ifa_addr)->sin_addr.s_addr == address;
    freeifaddrs(all);
    return found;
}

int connect(int socket, const struct sockaddr *to, socklen_t length)
{
    char text[INET6_ADDRSTRLEN] = "";
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (to->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)to)->sin6_addr, text, sizeof text);
    if (to->sa_family == AF_INET && !is_ours(((struct sockaddr_in *)to)->sin_addr.s_addr))
        inet_ntop(AF_INET, &((struct sockaddr_in *)to)->sin_addr, text, sizeof text);
    if (!*text || !strcmp(text, "::1")) return real(socket, to, length);
    tell("connect", text);
    errno = ENETUNREACH;
    return -1;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    unsigned char address[16];
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **)
        = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!name || !strcmp(name, "localhost") || inet_pton(AF_INET, name, address) == 1
            || inet_pton(AF_INET6, name, address) == 1)
        return real(name, service, hints, found);
    tell("getaddrinfo", name);
    return EAI_FAIL;
}
'''


@pytest.fixture(scope='module')
def guard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables for processes that are watched; what they tried is in the file NETWORK_GUARD."""
    folder = tmp_path_factory.mktemp('guard')
    (folder / 'guard.c').write_text(GUARD)
    try:
        subprocess.run(['gcc', '-shared', '-fPIC', '-o', folder / 'guard.so', folder / 'guard.c',
                        '-ldl'], check=True)
    except FileNotFoundError:
        pytest.skip('no gcc: the library that watches cannot be made')
    return {'LD_PRELOAD': str(folder / 'guard.so'), 'NETWORK_GUARD': str(folder / 'tried')}


@pytest.fixture
def tried(guard: dict[str, str]) -> Path:
    path = Path(guard['NETWORK_GUARD'])
    path.write_text('')
    return path


def test_the_nodes_reach_for_nobody(node_process, guard: dict[str, str], tried: Path) -> None:
    node_process('tracker_node', environment=guard)
    node_process('follow_node', environment=guard)
    client = Client('/lorat_tracker')
    client.wait_for_matches()
    assert client.track().id
    client.wait_for_health('engine', 'ready')
    client.close()
    assert tried.read_text() == ''


def test_whoever_tries_is_seen_and_refused(node_process, guard: dict[str, str], tried: Path
                                           ) -> None:
    code = ('import socket, urllib.request\n'
            'try:\n    socket.socket().connect(("192.0.2.1", 80))\n'
            'except OSError as error:\n    print(error.errno)\n'
            'urllib.request.urlopen("https://models.example/model.onnx")')
    process = node_process([sys.executable, '-c', code], environment=guard, exit_codes=(1,))
    assert process.wait(30) == 1
    assert tried.read_text().split('\n') == ['connect 192.0.2.1', 'getaddrinfo models.example', '']
