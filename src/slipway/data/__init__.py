"""The data room: sources, contract, cleaning, tokens; each package is the code of one stage."""
