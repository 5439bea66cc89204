"""Money: checkouts opened, payments received, refunds made, disputes watched.

``gateway`` says in our words what a payment provider can do; only ``stripe_gateway`` speaks to Stripe. What has
arrived is applied by ``settling`` (with ``arrivals``) and ``refunds`` alone, whichever of webhook, return page and
reconciliation brought the news.
"""
