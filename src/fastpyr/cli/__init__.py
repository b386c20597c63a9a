"""The command line: each verb is one module that parses, calls the library and prints."""
