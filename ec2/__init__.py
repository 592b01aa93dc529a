"""What `./lab ec2` does besides playbooks: pasted credentials, the status, a login."""
