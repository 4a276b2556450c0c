"""Numbers for Prometheus: session, logins, requests and, on demand, the account, as a textfile of node_exporter."""
