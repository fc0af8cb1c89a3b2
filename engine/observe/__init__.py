"""What can be told of running machines: which rows were reached, and why a row was taken or not."""
