"""Ends an exchange over a socket that takes too long as a whole."""

import socket
import threading


def cut_off(sock: socket.socket, late: threading.Event) -> None:
    """Set `late` and end both directions of `sock`, which another thread may be reading. For a timer to call."""
    late.set()
    try:
        # The method of an SSLSocket is not safe here: it drops its TLS state while another thread reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # closed already
