// Prints the token ids of texts, for the script that compares them with another tokenizer's.
// usage: tokenizer_probe FOLDER < texts; one text a line, as a JSON string; one line of ids for each.

#include <boost/json.hpp>
#include <iostream>
#include <string>

#include "text/clip_tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto tokenizer = mii::ClipTokenizer::load(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const auto text = boost::json::value_to<std::string>(boost::json::parse(line));
    std::cout << boost::json::serialize(boost::json::value_from(tokenizer.encode(text, 77))) << '\n';
  }
}
