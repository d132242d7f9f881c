module fairlead.dev/local/pause

go 1.26
