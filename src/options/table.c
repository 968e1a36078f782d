/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "options/table.h"

#include <string.h>

#define GROUP(n) .group = n
#define AT(field) .offset = offsetof(struct nst_params, field)
#define FLAG .type = NST_OPTION_FLAG
#define INT(lo, hi) .type = NST_OPTION_INT, .min = lo, .max = hi
#define SIZE(lo, hi) .type = NST_OPTION_SIZE, .min = lo, .max = hi
#define REAL(lo, hi) .type = NST_OPTION_REAL, .min = lo, .max = hi
#define CHOICE(words) .type = NST_OPTION_CHOICE, .choices = words
#define TEXT .type = NST_OPTION_TEXT
#define LIST(lo, hi) .type = NST_OPTION_LIST, .min = lo, .max = hi
#define LAYERS .type = NST_OPTION_LAYERS
#define STYLES .type = NST_OPTION_STYLES
#define STYLE_MASK .type = NST_OPTION_STYLE_MASK
#define STYLE_LAYERS .type = NST_OPTION_STYLE_LAYERS
#define RECIPE .recipe = true
/* excludes --style-weight and --iterations: a service has its own fields for these */
#define OFFERED .recipe = true, .offered = true
#define ONCE .once = true
#define OPTIMISES .optimises = true

static const char *const groups[] = {
    "", "Input and output", "Losses", "Optimisation", "Resources", "Reporting", NULL};

static const struct nst_option options[] = {
    {"style", 's', GROUP(1), STYLES, AT(styles), .arg = "FILE[:WEIGHT]",
     .help =
         "Style image, style pack or network that paints in one pass, required here or "
         "in the configuration. Repeat the option to mix up to 16 images and packs, "
         "each "
         "with its WEIGHT (1 if omitted)"},
    {"mask", 0, GROUP(1), STYLE_MASK, AT(styles), ONCE, .arg = "FILE",
     .help = "Apply the preceding --style where this image is white. Styles without a "
             "mask share the remaining area"},
    {"layers", 0, GROUP(1), STYLE_LAYERS, AT(styles), OPTIMISES, ONCE, .arg = "LIST",
     .help = "Use the preceding --style for these of the --style-layers only, each "
             "NAME or NAME:WEIGHT. Without this option it applies to all"},
    {"style-scale", 0, GROUP(1), REAL(0.1, 10), AT(style_scale), OPTIMISES, OFFERED,
     .default_text = "1", .arg = "FACTOR",
     .help = "Size of the style images as a multiple of --size, 0.1 to 10. Larger "
             "values give larger strokes"},
    {"output", 'o', GROUP(1), TEXT, AT(output), ONCE, .arg = "FILE|DIR/",
     .help = "Write the result to FILE, whose extension selects the format, or into "
             "DIR/. Without -o, or with -, a PNG goes to standard output"},
    {"name", 0, GROUP(1), TEXT, AT(name), .default_text = "{stem}-{style}.{ext}",
     .arg = "TEMPLATE",
     .help = "File names of results in a directory. {stem} and {ext} come from the "
             "input, {folder} is its directory, {style} comes from the styles, {index} "
             "is the number of the image"},
    {"format", 0, GROUP(1), TEXT, AT(format), .arg = "NAME",
     .help = "Output format, whatever the file name says: png, jpg, webp, tiff, ppm "
             "and others"},
    {"quality", 0, GROUP(1), INT(1, 100), AT(quality), .zero_word = "auto",
     .default_text = "auto", .arg = "N|auto",
     .help = "Quality of lossy output formats, 1 to 100. auto: 92 for JPEG and JPEG "
             "XL, 90 for WebP, 80 for HEIF, AVIF and JPEG 2000"},
    {"metadata", 0, GROUP(1), CHOICE("keep|private|none"), AT(metadata),
     .default_text = "keep", .arg = "KIND",
     .help = "Metadata that the result takes from the input: keep; private: camera, "
             "exposure and time only; none. The last two name no input"},
    {"y4m", 0, GROUP(1), FLAG, AT(y4m), ONCE,
     .help = "Read and write a YUV4MPEG2 video stream, frame by frame"},
    {"pnm", 0, GROUP(1), FLAG, AT(pnm), ONCE,
     .help = "Read and write a stream of PGM, PPM or PAM images"},
    {"frames", 0, GROUP(1), FLAG, AT(frames), OPTIMISES, RECIPE,
     .help = "The images, in their order, are the frames of one film: each follows the "
             "one before it (see --flow)"},
    {"recursive", 'r', GROUP(1), FLAG, AT(recursive),
     .help = "Recurse into subdirectories"},
    {"files-from", 0, GROUP(1), TEXT, AT(files_from), ONCE, .arg = "FILE|-",
     .help = "Read the names of input images from FILE, one per line"},
    {"null", '0', GROUP(1), FLAG, AT(null), ONCE,
     .help = "Names in --files-from end in a NUL byte, as find -print0 writes them"},
    {"skip-done", 0, GROUP(1), FLAG, AT(skip_done),
     .help = "Skip images whose result already exists and was made from the same "
             "inputs with the same options"},
    {"on-interrupt", 0, GROUP(1), CHOICE("keep|discard"), AT(on_interrupt),
     .default_text = "keep", .arg = "MODE",
     .help =
         "For an image that a signal interrupts: keep writes the image so far (a "
         "network that paints in one pass has none); discard writes nothing, and an "
         "older result stays"},
    /* before size, which it sets */
    {"scales", 0, GROUP(3), LIST(16, 65536), AT(scales), OPTIMISES, OFFERED,
     .zero_word = "none", .default_text = "auto", .arg = "LIST|FROM..|auto|none",
     .help = "Work coarse to fine at these sizes, up to 8 and increasing; the last one "
             "becomes --size. FROM..: start at FROM and double up to --size. auto is "
             "64.., none is --size alone"},
    {"size", 'S', GROUP(1), INT(16, 65536), AT(size), OFFERED, .zero_word = "native",
     .default_text = "512", .arg = "N|native",
     .help = "Longest side of the result and of the style images in pixels, 16 to "
             "65536. native: do not resize, which a network does by default"},
    {"square", 0, GROUP(1), FLAG, AT(square), OFFERED,
     .help = "Force all images to N x N pixels, where N is --size"},
    {"keep-mask", 0, GROUP(1), TEXT, AT(keep_mask), RECIPE, .arg = "FILE",
     .help = "Keep the content image unchanged where this image is white"},
    {"checkpoint", 0, GROUP(1), TEXT, AT(checkpoint), OPTIMISES, ONCE, .arg = "FILE",
     .help = "Write a checkpoint to FILE every --save-every steps, at the end of each "
             "scale and at the end (see --resume)"},
    {"resume", 0, GROUP(1), TEXT, AT(resume), OPTIMISES, ONCE, .arg = "FILE",
     .help = "Continue the run of a checkpoint with its images and options. The result "
             "is bit-identical to that of an uninterrupted run"},
    {"preview", 0, GROUP(1), TEXT, AT(preview), OPTIMISES, ONCE, .arg = "FILE",
     .help = "Write the current image to FILE every --save-every steps and at the end "
             "of each scale. {step} or {scale} in the name makes a series of files"},
    {"save-every", 0, GROUP(1), INT(1, 1000000), AT(save_every), OPTIMISES,
     .default_text = "50", .arg = "N",
     .help = "Interval between checkpoints and between previews in steps, 1 to "
             "1000000"},
    {"model", 'm', GROUP(2), TEXT, AT(model), OPTIMISES, RECIPE, .arg = "NAME|FILE",
     .help = "Network: the name of an installed model, or a safetensors file. "
             "vgg19:256,vgg19-lite takes vgg19 for scales up to 256 pixels and "
             "vgg19-lite above"},
    {"content-layers", 0, GROUP(2), LAYERS, AT(content_layers), OPTIMISES, OFFERED,
     .default_text = "relu4_2", .arg = "LIST",
     .help = "Layers of the content loss, each NAME or NAME:WEIGHT"},
    {"style-layers", 0, GROUP(2), LAYERS, AT(style_layers), OPTIMISES, OFFERED,
     .default_text = "relu1_1:30,relu2_1:30,relu3_1:30,relu4_1:30,relu5_1:30",
     .arg = "LIST", .help = "Layers of the style loss, each NAME or NAME:WEIGHT"},
    {"pooling", 0, GROUP(2), CHOICE("max|avg"), AT(pooling), OPTIMISES, OFFERED,
     .default_text = "max", .arg = "max|avg",
     .help = "Pooling of the network: maximum or average"},
    {"padding", 0, GROUP(2), CHOICE("zero|replicate|reflect"), AT(padding), OPTIMISES,
     OFFERED, .default_text = "reflect", .arg = "KIND",
     .help = "What each convolution of the network reads beyond the border: reflect "
             "mirrors its input, replicate repeats the outermost pixels, zero reads "
             "zeros, which leaves visible edges"},
    {"content-weight", 'c', GROUP(2), REAL(0, 1e12), AT(content_weight), OPTIMISES,
     OFFERED, .default_text = "3", .arg = "WEIGHT",
     .help = "Weight of the content loss, 0 to 1e12"},
    {"style-weight", 'w', GROUP(2), REAL(0, 1e12), AT(style_weight), OPTIMISES, RECIPE,
     .default_text = "7000", .arg = "WEIGHT",
     .help = "Weight of the style loss, 0 to 1e12. 7000 is the look of each preset, "
             "10000 gives clearly more style, 5000 less"},
    {"moment-weight", 0, GROUP(2), REAL(0, 1e12), AT(moment_weight), OPTIMISES, OFFERED,
     .default_text = "0.03", .arg = "WEIGHT",
     .help = "Weight of the loss on the mean and standard deviation of each style "
             "channel, 0 to 1e12. It is multiplied by --style-weight / 7000"},
    {"tv-weight", 0, GROUP(2), REAL(0, 1e12), AT(tv_weight), OPTIMISES, OFFERED,
     .default_text = "0", .arg = "WEIGHT",
     .help = "Weight of the total variation loss, which smooths noise, 0 to 1e12"},
    {"temporal", 0, GROUP(2), REAL(0, 1e12), AT(temporal), OPTIMISES, RECIPE,
     .default_text = "100", .arg = "WEIGHT",
     .help =
         "Weight of the temporal loss, which keeps areas stable from frame to frame "
         "(see --flow), 0 to 1e12"},
    {"flow", 0, GROUP(2), TEXT, AT(flow), OPTIMISES, RECIPE, .default_text = "auto",
     .arg = "auto|none|DIR",
     .help = "How the frames of a film follow its motion: auto estimates the optical "
             "flow, none expects no motion, DIR has it as files forward_N_M.flo and "
             "backward_M_N.flo for the frames N and M = N + 1, from 1 on"},
    {"passes", 0, GROUP(2), INT(1, 100), AT(passes), RECIPE, .default_text = "1",
     .arg = "N",
     .help =
         "Passes over the frames of a film, by turns forth and back, 1 to 100: each "
         "frame approaches both its neighbours. More than 1 need a file, not a "
         "pipe"},
    {"strength", 0, GROUP(2), REAL(0, 1), AT(strength), OFFERED, .default_text = "1",
     .arg = "0..1",
     .help = "Amount of style, from 0 (the content image unchanged) to 1 (the full "
             "style)"},
    {"colour", 0, GROUP(2), CHOICE("style|content|match"), AT(colour), OFFERED,
     .default_text = "style", .arg = "KIND", .alias = "color",
     .help = "Colours of the result: style; content, which takes only the brightness "
             "from the stylised image; or match, which first recolours the style "
             "images like the content image"},
    {"init", 0, GROUP(3), TEXT, AT(init), OPTIMISES, RECIPE, .default_text = "content",
     .arg = "content|noise|FILE", .help = "Image to start from"},
    {"seed", 0, GROUP(3), INT(0, 4294967295.0), AT(seed), OPTIMISES, OFFERED,
     .default_text = "0", .arg = "N",
     .help = "Random seed for --init noise, 0 to 4294967295"},
    {"scale-mode", 0, GROUP(3), CHOICE("progressive|blend"), AT(scale_mode), OPTIMISES,
     OFFERED, .default_text = "progressive", .arg = "MODE",
     .help = "progressive: start each scale from the result of the previous one. "
             "blend: average the results of independent scales"},
    {"iterations", 'n', GROUP(3), INT(1, 1000000), AT(iterations), OPTIMISES, RECIPE,
     .default_text = "300", .arg = "N",
     .help = "Maximum number of optimiser steps over all scales, 1 to 1000000"},
    {"scale-iterations", 0, GROUP(3), LIST(1, 1000000), AT(scale_iterations), OPTIMISES,
     OFFERED, .zero_word = "auto", .default_text = "auto", .arg = "LIST|auto",
     .help = "Steps at each scale, 1 to 1000000. auto: each scale takes half of the "
             "remaining --iterations, the last scale all of them"},
    {"max-evaluations", 0, GROUP(3), INT(1, 1000000000), AT(max_evaluations), OPTIMISES,
     RECIPE, .zero_word = "none", .default_text = "none", .arg = "N|none",
     .help = "Maximum number of loss evaluations, 1 to 1000000000"},
    {"optimiser", 0, GROUP(3), CHOICE("lbfgs|adam"), AT(optimiser), OPTIMISES, OFFERED,
     .default_text = "lbfgs", .arg = "lbfgs|adam", .alias = "optimizer",
     .help = "Optimiser: lbfgs never accepts a worse image, adam needs less memory"},
    {"learning-rate", 0, GROUP(3), REAL(1e-6, 1), AT(learning_rate), OPTIMISES, OFFERED,
     .default_text = "0.02", .arg = "RATE",
     .help = "Learning rate of adam, 1e-6 to 1, where pixels range from 0 to 1"},
    {"curvature-pairs", 0, GROUP(3), INT(1, 100), AT(curvature_pairs), OPTIMISES,
     OFFERED, .default_text = "20", .arg = "N",
     .help = "Curvature pairs that L-BFGS keeps, 1 to 100; each takes 24 bytes per "
             "pixel"},
    {"adaptive", 0, GROUP(3), CHOICE("none|parameters|weights|both"), AT(adaptive),
     OPTIMISES, OFFERED, .default_text = "none", .arg = "WHAT",
     .help = "parameters: choose steps and learning rate by the complexity of the "
             "images. weights: raise the weight of a loss that rises over ten steps. "
             "both: do both. none: do neither"},
    {"threads", 't', GROUP(4), INT(1, 1024), AT(threads), .zero_word = "auto",
     .default_text = "auto", .arg = "N|auto",
     .help = "Number of CPU threads, 1 to 1024. It does not change the result. auto: "
             "one per processor"},
    {"jobs", 'j', GROUP(4), INT(1, 64), AT(jobs), .zero_word = "auto",
     .default_text = "auto", .arg = "N|auto",
     .help = "Number of images processed in parallel, 1 to 64. It does not change the "
             "results. auto: one per thread, at most 8, as free memory allows"},
    {"device", 0, GROUP(4), TEXT, AT(device), .default_text = "auto",
     .arg = "auto|cpu|cuda[:N]",
     .help = "Processor: cpu, or cuda:N for NVIDIA GPU number N. cuda:0,1 distributes "
             "the images over two GPUs. auto: the first GPU if there is one, else the "
             "CPU"},
    {"precision", 0, GROUP(4), CHOICE("auto|fp32|tf32|fp16"), AT(precision), OPTIMISES,
     RECIPE, .default_text = "auto", .arg = "KIND",
     .help = "Arithmetic on a GPU: fp32, tf32 (faster) or fp16 (faster, half the "
             "memory). auto: tf32 where supported. A CPU always uses fp32"},
    {"max-memory", 0, GROUP(4), SIZE(16777216, 1e15), AT(max_memory),
     .zero_word = "auto", .default_text = "auto", .arg = "SIZE|auto",
     .help = "Memory limit in bytes, or with the suffix K, M, G or T; at least 16M. "
             "Large images are then processed in tiles or with fewer curvature pairs. "
             "auto: four fifths of the available memory"},
    {"tile", 0, GROUP(4), INT(16, 65536), AT(tile), OPTIMISES, RECIPE,
     .zero_word = "auto", .default_text = "auto", .arg = "N|auto",
     .help = "Process the image in tiles of N x N pixels plus a halo, 16 to 65536. The "
             "result is the same up to rounding. auto: only if memory is short"},
    {"max-pixels", 0, GROUP(4), INT(256, 1e12), AT(max_pixels),
     .default_text = "200000000", .arg = "N",
     .help = "Refuse images of more than N pixels before decoding them, 256 to 1e12"},
    {"dry-run", 0, GROUP(5), FLAG, AT(dry_run), ONCE,
     .help = "Print what would be done, with estimated memory and time, and exit"},
    {"json", 0, GROUP(5), FLAG, AT(json), ONCE,
     .help = "Print the output of --dry-run or --list-devices as JSON"},
    {"progress", 0, GROUP(5), CHOICE("auto|bar|plain|json|none"), AT(progress),
     .default_text = "auto", .arg = "KIND",
     .help = "Progress on standard error: bar, plain, json or none. auto: bar on a "
             "terminal, plain elsewhere"},
    {"progress-file", 0, GROUP(5), TEXT, AT(progress_file), ONCE, .arg = "FILE",
     .help = "Also write progress as JSON lines to FILE, even with --quiet. /dev/fd/3 "
             "is an open descriptor"},
    {"trace", 0, GROUP(5), TEXT, AT(trace), OPTIMISES, ONCE, .arg = "FILE",
     .help = "Write one JSON line per loss evaluation to FILE"},
    {"history", 0, GROUP(5), TEXT, AT(history), .arg = "FILE|none",
     .help = "Record finished runs in FILE instead of "
             "~/.local/state/nst/history.jsonl, or nowhere"},
    {"quiet", 'q', GROUP(5), FLAG, AT(quiet), .help = "Print errors only"},
    {"verbose", 'v', GROUP(5), FLAG, AT(verbose),
     .help = "Also print the model, sizes, times and memory"},
};
#define OPTIONS (sizeof options / sizeof *options)

const struct nst_option *nst_option(size_t i)
{
    return i < OPTIONS ? &options[i] : NULL;
}

const char *nst_option_group(int group)
{
    return groups[group];
}

const struct nst_option *nst_option_find(const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (strcmp(options[i].name, name) == 0 ||
            (options[i].alias && strcmp(options[i].alias, name) == 0))
            return &options[i];
    return NULL;
}
