// Trains recommenders on one data set and prints a leaderboard. `recommender-leaderboard --help` lists the options.
import TrestleCommand

Program.run(Options.self)
