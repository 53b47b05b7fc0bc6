// Reads cases, one JSON object a line, and prints the figures of each.
#include <iostream>
#include <string>

#include "figures.h"

int main() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << boost::json::serialize(mii::stats::figures_of(boost::json::parse(line).as_object())) << '\n';
}
