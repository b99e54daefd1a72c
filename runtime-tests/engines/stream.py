"""Speaks with a stream of a kubelet or of CRI: exec, attach or port-forward, over a WebSocket.

    stream.py URL [ROWSxCOLUMNS]

Standard input is sent at once, after the size of the terminal; output and errors come as they are.
Ends with the status of the command, or when the other side has nothing more.
"""

import base64, json, os, socket, struct, sys
from urllib.parse import urlsplit

STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)


def send(connection, payload):
    mask = os.urandom(4)
    head = struct.pack("!BB", 0x82, 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BBH", 0x82, 0xFE, len(payload))
    connection.sendall(head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)))


def frames(stream):
    while head := stream.read(2):
        kind, length = head[0] & 0x0F, head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", stream.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", stream.read(8))
        payload = stream.read(length)
        if kind == 8:
            return
        if kind in (0, 1, 2) and payload:
            yield payload[0], payload[1:]


def connect(url):
    connection = socket.create_connection((url.hostname, url.port), timeout=20)
    connection.sendall(
        f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
        "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n".encode())
    stream = connection.makefile("rb")
    answer = stream.readline().decode()
    while stream.readline().strip():
        pass
    if " 101 " not in answer:
        sys.exit(f"no WebSocket: {answer}")
    return connection, stream


def exit_status(text):
    status = json.loads(text)
    if status["status"] == "Success":
        return 0
    causes = status.get("details", {}).get("causes", [])
    codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
    if not codes:
        print(status.get("message"), file=sys.stderr)
    return codes[0] if codes else 125


def main():
    url = urlsplit(sys.argv[1])
    forward = "/portforward/" in url.path
    connection, stream = connect(url)
    if len(sys.argv) > 2:
        rows, columns = map(int, sys.argv[2].split("x"))
        send(connection, bytes([RESIZE]) + json.dumps({"Width": columns, "Height": rows}).encode())
    if text := sys.stdin.buffer.read():
        send(connection, bytes([STDIN]) + text)
    seen = set()
    for channel, payload in frames(stream):
        if forward and channel not in seen:
            # The first of each of its two channels is the number of the port.
            seen.add(channel)
        elif forward:
            (sys.stderr if channel else sys.stdout).buffer.write(payload)
        elif channel in (STDOUT, STDERR):
            (sys.stdout if channel == STDOUT else sys.stderr).buffer.write(payload)
        elif channel == STATUS:
            return exit_status(payload)
    return 0


sys.exit(main())
