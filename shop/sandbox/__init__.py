"""The world around the shop, for `make run` and the tests: Stripe's stand-in and a mailbox, in one process.

`python -m shop.sandbox` starts it. It speaks Stripe's HTTP API of one version to the unchanged `stripe`
package, shows a payment page, sends signed webhooks and catches mail. Nothing of the shop imports it and it
imports nothing of the shop: the two know each other by HTTP, SMTP and the clock's offset file alone.
"""
