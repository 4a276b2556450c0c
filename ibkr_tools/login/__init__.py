"""One browser login: from no session to a session that the API proves.

It is not a keep-alive (that is the watchdog) and it never decides when to log in; it only refuses to when the budget
of submitted passwords is spent. `login_runner.run_login` is the whole of it; selenium is imported by `browser` alone.
"""
