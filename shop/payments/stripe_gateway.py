class StripeGateway:
    def __init__(self, key, base, secrets):
        pass
