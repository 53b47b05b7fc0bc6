#include "eval/tasks.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "mii/error.h"

namespace mii {
namespace {

using testing::HasSubstr;

std::vector<EvalTask> read(const std::string& yaml) {
  const auto path = std::filesystem::temp_directory_path() / ("mii-tasks-" + std::to_string(getpid()));
  std::ofstream(path) << yaml;
  struct Remove {
    std::filesystem::path path;
    ~Remove() { std::filesystem::remove(path); }
  } remove{path};
  return read_tasks(path);
}

std::string refusal(const std::string& yaml) {
  try {
    read(yaml);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Tasks, AreRead) {
  const auto tasks = read(
      "tasks:\n- field: finding\n  name: chest\n  where: {anatomy: chest, modality: [X-Ray, CT]}\n"
      "  labels: {normal: [no finding, normal], pneumonia: pneumonia}\n  corruptions: true\n  mean: all\n- "
      "field: "
      "modality\n");
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].name, "chest");
  EXPECT_EQ(tasks[0].where.at("modality").size(), 2u);
  EXPECT_EQ(tasks[0].label_of("normal"), 0u);
  EXPECT_EQ(tasks[0].label_of("pneumonia"), 1u);
  EXPECT_EQ(tasks[0].label_of("fracture"), std::nullopt);
  EXPECT_TRUE(tasks[0].corruptions);
  EXPECT_EQ(tasks[0].mean, "all");
  EXPECT_EQ(tasks[1].name, "modality");
}

TEST(Tasks, WrongOnesAreRefusedWithTheLine) {
  EXPECT_THAT(refusal("tasks:\n- name: x\n"), HasSubstr(":2: a task has no 'field'"));
  EXPECT_THAT(refusal("tasks:\n- field: x\n  lables: {}\n"), HasSubstr(":3: unknown key 'lables'"));
  EXPECT_THAT(refusal("- field: x\n"), HasSubstr("expected a list 'tasks'"));
  EXPECT_THAT(refusal("tasks: ["), HasSubstr("not valid YAML"));
}

}  // namespace
}  // namespace mii
