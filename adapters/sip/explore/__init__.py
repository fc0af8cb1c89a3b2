"""SIP as the explorer sees it: what messages mean to a table, properties that must hold, and who is joined to whom."""
