"""Flex statements of IBKR's reporting: XML files with an account's positions, cash, trades and income per day."""
