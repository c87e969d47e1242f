"""Monitoring: a service's log and feedback, compared with the reference of its model."""
