"""Years of an account's life, made from a seed: one ledger, and what IBKR's services would say of it.

`life.AccountLife` is the ledger; `statement_writer` has its Flex statements, `known_values` the right figures, and
`lived_account` the portfolio of a day. Nothing here knows about HTTP.
"""
