"""Deployment targets; one module each, named as its file in conf/deploy/."""
