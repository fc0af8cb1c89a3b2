"""The explorer: the compiled tables against each other, in every order that is possible within bounds."""
