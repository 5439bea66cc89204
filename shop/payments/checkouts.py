"""Checkout attempts: what Stripe is asked for, written down before it is asked."""
