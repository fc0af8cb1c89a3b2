"""Transactions as the tables in ``tables/transaction`` run them: matching, sending, trying the next address."""
