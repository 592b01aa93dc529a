"""Stand-ins for what a test machine cannot reach: an EC2 host, and the product's upstreams.

Production code knows nothing of this package. To Ansible the host is a machine at an address,
and the mirror is a handful of base addresses in the inventory's variables.
"""
