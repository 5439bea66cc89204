"""What libraries read: everything derives from the one edition record."""
