"""The consumer's right of withdrawal: statements as they were made, kept until a person has dealt with them.

``statements`` keeps one and marks it as done; the storefront has the form in two steps, the desk the list.
"""
