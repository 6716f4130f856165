"""LSTM and GRU (or --cells rnn), inference and training, at 13 shapes against every peer; geometric means."""

from .. import cases, duel

add_arguments, table = duel.add_arguments, duel.table


def jobs(options):
    return duel.jobs(options, cases.GRID)
