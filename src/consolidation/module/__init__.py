"""The border to Ansible's modules; imports no Ansible."""
