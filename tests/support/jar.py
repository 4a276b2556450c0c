"""Runs IBKR's real gateway program in front of a simulator, as plainly as possible.

Source: docs/reference/gateway-process.md#distribution-and-start.
"""

import http.client
import secrets
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.distribution import JAR, distribution
from tests.support.simulation import wait_until

__all__ = ["Jar", "free_port", "running_jar"]

CONF = """\
ip2loc: "US"
proxyRemoteSsl: false
proxyRemoteHost: "{upstream}"
listenPort: {port}
listenSsl: true
ccp: false
svcEnvironment: "v1"
sslCert: "vertx.jks"
sslPwd: "mywebapi"
authDelay: {auth_delay_ms}
portalBaseURL: ""
serverOptions:
  blockedThreadCheckInterval: 1000000
  eventLoopPoolSize: 4
  workerPoolSize: 4
  maxWorkerExecuteTime: 100
  internalBlockingPoolSize: 4
cors:
  origin.allowed: "*"
  allowCredentials: false
webApps:
  - name: "demo"
    index: "index.html"
ips:
  allow:
    - 127.0.0.1
  deny:
    - 192.0.2.1
"""
LOGBACK = """\
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""
FLAGS = [
    "-server",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx96m",
    "-Dvertx.disableDnsResolver=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dvertx.logger-delegate-factory-class-name=io.vertx.core.logging.SLF4JLogDelegateFactory",
]


def free_port() -> int:
    """Return a port that nobody listens on now.

    Where there are some, it is none of those that the kernel gives to whoever asks for any: one that is bound later,
    by a program that starts, would often enough be another test's by then.
    """
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    own = range(_FIRST_PORT, first_given)
    while True:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", secrets.choice(own) if own else 0))
            port: int = probe.getsockname()[1]
            return port


_FIRST_PORT = 20_000


class Jar:
    """One running gateway. `log` is where its output goes; `ready_after_s` how long it took to listen."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.port = port
        self.process = process
        self.log = log
        self.url = f"https://127.0.0.1:{port}"
        self.ready_after_s = 0.0

    def request(self, method: str, path: str, body: str | None = None, timeout_s: float = 15.0) -> tuple[int, str]:
        """Send one request; return status and body. The shipped certificate has expired, so it is not checked."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=context)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def is_listening(self) -> bool:
        """Whether it answers by itself."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.request("GET", "/", timeout_s=5)[0] == 302
        except OSError:
            return False


@contextmanager
def running_jar(folder: Path, upstream: str, *, auth_delay_ms: int = 3000) -> Iterator[Jar]:
    """Run the jar for the length of the block, in front of `upstream`; `folder` takes its configuration and log."""
    root, port = distribution(), free_port()
    conf = folder / "conf"
    conf.mkdir(parents=True)
    (conf / "conf.yaml").write_text(CONF.format(upstream=upstream, port=port, auth_delay_ms=auth_delay_ms))
    (conf / "logback.xml").write_text(LOGBACK)
    shutil.copy(root / "root" / "vertx.jks", conf)
    (folder / "root" / "webapps").mkdir(parents=True)
    classpath = f"{conf}:{root / JAR}:{root / 'build/lib/runtime'}/*"
    command = ["java", *FLAGS, "-cp", classpath, "ibgroup.web.core.clientportal.gw.GatewayStart"]
    command += ["--conf", "../conf/conf.yaml"]
    log = folder / "gateway.log"
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    jar = Jar(port, process, log)
    try:
        wait_until(jar.is_listening, timeout_s=30)
        jar.ready_after_s = time.monotonic() - began
        yield jar
    finally:
        process.terminate()
        process.wait(timeout=60)
