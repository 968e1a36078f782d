#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hang.py PID NAME: stop those threads of a process whose names begin with NAME, by
ptrace(2), while the others go on. Prints "hung", or "cannot"; they continue when this
ends."""
import ctypes
import glob
import sys
import time

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, tid):
    return libc.ptrace(request, ctypes.c_long(int(tid)), None, None) == 0


threads = []
for path in glob.glob(f"/proc/{sys.argv[1]}/task/*/comm"):
    with open(path, encoding="utf-8") as f:
        if f.read().startswith(sys.argv[2]):
            threads.append(path.split("/")[-2])
stopped = [ptrace(PTRACE_SEIZE, t) and ptrace(PTRACE_INTERRUPT, t) for t in threads]
print("hung" if threads and all(stopped) else "cannot", flush=True)
time.sleep(600)
