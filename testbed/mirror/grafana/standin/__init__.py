"""A fake that answers like Grafana where a provisioning role, its checks and its tests ask.

It is no Grafana: it keeps the documented behaviour of the configuration, of provisioning and of a
few API calls, traps included, so that a role can be tested on a machine that cannot reach Grafana's
repository.
"""
