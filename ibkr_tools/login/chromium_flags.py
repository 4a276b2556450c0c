"""How Chromium is started: flags and preferences. Pure; none of them weakens its sandbox or opens a port."""

__all__ = ["CHROMIUM_FLAGS", "CHROMIUM_PREFERENCES", "host_rules"]

CHROMIUM_FLAGS = (
    "--headless=new",
    # No port on which other users of the machine could take the browser over; and it ends when the driver does.
    "--remote-debugging-pipe",
    # Containers have a /dev/shm of 64 MB, on which the page crashes.
    "--disable-dev-shm-usage",
    "--window-size=1280,1024",
    "--no-proxy-server",
    # WebRTC sends UDP past every rule about host names; this leaves it nothing but a proxy, and there is none. The
    # second one is what older versions call it.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--metrics-recording-only",
    "--mute-audio",
    "--password-store=basic",
    "--disk-cache-size=20971520",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication,PasswordLeakDetection",
)
CHROMIUM_PREFERENCES = {
    "credentials_enable_service": False,
    "profile.password_manager_enabled": False,
    "profile.password_manager_leak_detection": False,
    "autofill.profile_enabled": False,
    "translate.enabled": False,
    "search.suggest_enabled": False,
}


def host_rules(port: int | None) -> str:
    """Returns Chromium's --host-resolver-rules, under which everything but the gateway is a name that does not exist.

    The rules hold for addresses too, however they are spelt. Without the port a page of the gateway could give orders
    to chromedriver, which believes an Origin on this machine.
    """
    return f"MAP 127.0.0.1:{port} 127.0.0.1:{port}, MAP * ~NOTFOUND" if port else "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
