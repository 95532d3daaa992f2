# SPDX-License-Identifier: BSD-2-Clause
#
# picture.awk - a profile as SVG: samples by symbol, and over time
#
#   awk -f picture.awk PUSHES SAMPLES
#
# A line of PUSHES is a time in seconds.  One of SAMPLES is `TENTH SYMBOL COUNT`: a
# tenth of a second of the same clock, and how often SYMBOL was sampled in it.

function text(x, y, anchor, what, more)
{
	gsub(/&/, "\\&amp;", what)
	gsub(/</, "\\&lt;", what)
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>%s</text>\n", x, y, anchor, more, what
}

function box(x, y, width, height, color)
{
	printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x, y, width, height, color
}

FILENAME == ARGV[1] {
	pushes[++nr_pushes] = $1
	next
}

NF == 3 {
	count[$1, $2] += $3
	of_symbol[$2] += $3
	of_tenth[$1] += $3
	total += $3
	if (first == "" || $1 < first)
		first = $1
	if ($1 > last)
		last = $1
}

END {
	if (!total)
		exit 1
	split("#3b6fb6 #d9822b #4f9d57 #9a5fb0 #c2514c", colors)
	# The four that have most, and all the others.
	for (nr = 1; nr <= 4; nr++) {
		best = ""
		for (symbol in of_symbol)
			if (!(symbol in rank) && (best == "" || of_symbol[symbol] > of_symbol[best]))
				best = symbol
		if (best == "")
			break
		rank[best] = nr
		name[nr] = best
		sum[nr] = of_symbol[best]
		rest += of_symbol[best]
	}
	if (rest < total) {
		name[nr] = "all others"
		sum[nr++] = total - rest
	}
	nr--

	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 460\" font-family=\"sans-serif\" font-size=\"13\">\n"
	box(0, 0, 800, 460, "white")
	text(20, 28, "start", "SPE in a guest: " total " samples by perf record -e arm_spe_0//", "font-size=\"16\" font-weight=\"bold\"")
	for (i = 1; i <= nr; i++) {
		y = 28 + i * 24
		text(190, y + 13, "end", name[i], "")
		box(200, y, 480 * sum[i] / sum[1], 17, colors[i])
		text(206 + 480 * sum[i] / sum[1], y + 13, "start", sprintf("%.1f %%", 100 * sum[i] / total), "")
	}

	top = 215; height = 190; left = 60; width = 720
	for (t in of_tenth)
		if (of_tenth[t] > most)
			most = of_tenth[t]
	step = width / (last - first + 1)
	text(20, top - 22, "start", "Samples in each tenth of a second", "font-weight=\"bold\"")
	for (t = first; t <= last; t++) {
		y = top + height
		for (i = 1; i <= nr; i++) {
			n = 0
			if (name[i] in rank) {
				n = count[t, name[i]]
				done[t] += n
			} else {
				n = of_tenth[t] - done[t]
			}
			if (!n)
				continue
			y -= height * n / most
			box(left + (t - first) * step, y, step, height * n / most, colors[i])
		}
	}
	printf "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"black\"/>\n", left, top, top + height, left + width
	text(left - 6, top + 8, "end", most, "")
	text(left - 6, top + height, "end", "0", "")
	for (t = first; t <= last; t += 10)
		text(left + (t - first) * step, top + height + 18, "middle", sprintf("%d s", (t - first) / 10), "")
	for (i = 1; i <= nr_pushes; i++) {
		x = left + (pushes[i] * 10 - first) * step
		printf "<path d=\"M%.1f %dV%d\" stroke=\"black\" stroke-dasharray=\"4 3\"/>\n", x, top - 12, top + height
	}
	if (nr_pushes)
		text(left, 450, "start", "Dashed: the vCPU's thread was pushed to a CPU without SPE, and came back", "")
	printf "</svg>\n"
}
