// Command bench runs every benchmark that holds a budget and prints one table.
//
// A budget is a benchmark called BenchmarkBudget that reports, for each row as
// a sub-benchmark, what it measured against its counterpart in the same run. The
// figure that the budget is about has a unit that begins with got-:
//
//	b.ReportMetric(1.31, "got-x")    times the counterpart; or got-µs, got-MB …
//	b.ReportMetric(1.5, "budget")    at most this; "floor" instead: at least this; neither: a row for comparison
//
// Arguments are the packages to look in, all if there are none. The exit code is 1 when a row falls short, after all rows have run.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

type row struct {
	name, unit    string
	got, want     float64
	floor, broken bool
	free          bool     // has no budget
	rest          []string // other figures, as printed
}

func main() {
	only := flag.String("run", ".", "regular expression of the rows to run")
	flag.Parse()
	packages := flag.Args()
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	rows, err := run(*only, packages)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if !table(rows) {
		os.Exit(1)
	}
}

func run(only string, packages []string) ([]row, error) {
	args := []string{"test", "-run", "^$", "-bench", "^BenchmarkBudget$/" + only, "-benchtime", "1x", "-timeout", "60m", "-p", "1"}
	cmd := exec.Command("go", append(args, packages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var rows []row
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if r, ok := parse(lines.Text()); ok {
			fmt.Fprintln(os.Stderr, lines.Text())
			rows = append(rows, r)
		} else if strings.Contains(lines.Text(), "FAIL") || strings.HasPrefix(lines.Text(), "    ") {
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
	return rows, cmd.Wait()
}

var procs = regexp.MustCompile(`-[0-9]+$`)

// parse reads a line that the testing package printed for a row.
func parse(line string) (r row, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "BenchmarkBudget/") {
		return row{}, false
	}
	r.name = strings.ReplaceAll(strings.TrimPrefix(procs.ReplaceAllString(fields[0], ""), "BenchmarkBudget/"), "_", " ")
	r.free = true
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			continue
		}
		switch unit := fields[i+1]; {
		case unit == "ns/op":
		case unit == "budget" || unit == "floor":
			r.want, r.floor, r.free = value, unit == "floor", false
		case strings.HasPrefix(unit, "got-"):
			r.got, r.unit = value, strings.TrimPrefix(unit, "got-")
		default:
			r.rest = append(r.rest, fields[i]+" "+unit)
		}
	}
	r.broken = r.unit == ""
	return r, true
}

func table(rows []row) bool {
	fmt.Printf("%s, %s/%s, %d CPUs, %s\n\n", time.Now().UTC().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	fmt.Println("| what | measured | budget | kept | beside it |")
	fmt.Println("|---|---|---|---|---|")
	all := len(rows) > 0
	for _, r := range rows {
		kept, bound := "yes", "at most"
		if r.floor {
			bound = "at least"
		}
		if r.broken || !r.free && (r.got > r.want) != r.floor && r.got != r.want {
			kept, all = "**no**", false
		}
		budget := fmt.Sprintf("%s %.4g", bound, r.want)
		if r.free && !r.broken {
			budget, kept = "none", ""
		}
		fmt.Printf("| %s | %.4g %s | %s | %s | %s |\n", r.name, r.got, r.unit, budget, kept, strings.Join(r.rest, ", "))
	}
	return all
}
