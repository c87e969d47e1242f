"""Compose: Hydra's config becomes plain values; only this and cli/front.py know Hydra."""
