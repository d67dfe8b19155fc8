// Reads {module, description, problems}, solves each problem, writes the solutions. NaN and infinity are written as words.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , source, input, output] = process.argv;
const { Engine } = await import(pathToFileURL(`${source}/driver.js`));
const { uniformNumbers } = await import(pathToFileURL(`${source}/numbers.js`));
const words = { inf: Infinity, "-inf": -Infinity, nan: NaN };
const job = JSON.parse(readFileSync(input, "utf8"), (_, value) => (value in words ? words[value] : value));
const engine = await Engine.load(readFileSync(job.module), job.description);
const results = job.problems.map((problem) => {
  for (const name of ["parameters", "starts", "startSlow"]) problem[name] = Float64Array.from(problem[name]);
  problem.shared = Float64Array.from([...(problem.uniform ?? uniformNumbers(job.description.uniform, problem.values)), ...problem.tolerances]);
  const { values, status, endTime, accepted, rejected } = engine.solve(problem);
  return { values: [...values].map(String), status: [...status], endTime: [...endTime], accepted: [...accepted],
    rejected: [...rejected] };
});
writeFileSync(output, JSON.stringify(results));
