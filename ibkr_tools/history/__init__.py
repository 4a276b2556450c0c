"""The account's days, made of the statements that are kept: values, deposits, income and fees."""
