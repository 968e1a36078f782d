/* SPDX-License-Identifier: MIT */
/*
 * style_main.c - nst-style, style packs: pack and blend (style_make.c), info and list
 * (style_list.c).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exit.h"
#include "cli/program.h"
#include "cli/style.h"

enum {
    JSON_KEY = 0x100,
    SCALES_KEY,
    LAYERS_KEY,
    FROM_KEY,
    ARTIST_KEY,
    TITLE_KEY,
    YEAR_KEY,
    PREVIEW_KEY,
    PREVIEWS_KEY
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "Style pack to write (pack, blend)", 0},
    {"model", 'm', "NAME|FILE", 0, "Network, as in nst (pack)", 0},
    {"scales", SCALES_KEY, "LIST", 0,
     "Image sizes in pixels at which statistics are computed (pack; "
     "default: " STYLE_DEFAULT_SCALES
     "; fewer for conv_1 to conv_5 and for average pooling)",
     0},
    {"style-layers", LAYERS_KEY, "LIST", 0,
     "Layers for which statistics are computed (pack; default: relu1_1 to relu5_1 "
     "and conv_1 to conv_5)",
     0},
    {"from", FROM_KEY, "TEXT", 0,
     "Description of the source (pack, blend; default: artist, title and year, or "
     "the file names)",
     0},
    {"artist", ARTIST_KEY, "TEXT", 0, "Artist of the style image (pack, blend)", 0},
    {"title", TITLE_KEY, "TEXT", 0, "Title of the style image (pack, blend)", 0},
    {"year", YEAR_KEY, "TEXT", 0, "Year of the style image (pack, blend)", 0},
    {"preview", PREVIEW_KEY, "FILE", 0,
     "Image to store as a small preview (pack, blend)", 0},
    {"previews", PREVIEWS_KEY, "DIR", 0, "Write the previews to DIR as NAME.jpg (list)",
     0},
    {"json", JSON_KEY, NULL, 0, "Print one line of JSON (info, list)", 0},
    {0}};

static void set_param(struct argp_state *state, const char *name, const char *text)
{
    struct style_arguments *a = state->input;
    struct nst_err err;

    if (nst_params_set(&a->p, name, text, &err) == NST_OK)
        return;
    fprintf(stderr, "nst-style: %s\n", err.text);
    exit(nst_exit_status(err.status));
}

static void check_arguments(struct argp_state *state)
{
    struct style_arguments *a = state->input;
    const char *command = a->command ? a->command : "";
    bool makes = strcmp(command, "pack") == 0 || strcmp(command, "blend") == 0;
    bool lists = strcmp(command, "list") == 0;

    if (!makes && !lists && strcmp(command, "info") != 0)
        argp_error(state, "'%s' is not a command; use pack, blend, info or list",
                   command);
    if (makes && !a->output)
        argp_error(state, "%s: requires -o FILE", command);
    if (makes && strcmp(a->output, "-") != 0 && !style_is_pack_name(a->output))
        argp_error(
            state,
            "output: '%s': the name of a style pack must end in " NST_PACK_SUFFIX,
            a->output);
    if (lists ? a->p.styles.count : !a->p.styles.count)
        argp_error(state, "%s: %s", command,
                   a->p.styles.count ? "takes no arguments"
                                     : "requires an image or a style pack");
    if (strcmp(command, "info") == 0 && a->p.styles.count > 1)
        argp_error(state, "info: takes one argument");
    if (a->previews && (!lists || a->json))
        argp_error(state, "previews: works with list only, without --json");
    if (a->with_scales && !a->p.scales.count)
        argp_error(state, "scales: requires a list of sizes");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct style_arguments *a = state->input;

    switch (key) {
    case 'o':
        a->output = arg;
        break;
    case 'm':
        set_param(state, "model", arg);
        break;
    case SCALES_KEY:
        set_param(state, "scales", arg);
        a->with_scales = true;
        break;
    case LAYERS_KEY:
        set_param(state, "style-layers", arg);
        a->with_layers = true;
        break;
    case FROM_KEY:
        a->text[NST_PACK_FROM] = arg;
        break;
    case ARTIST_KEY:
        a->text[NST_PACK_ARTIST] = arg;
        break;
    case TITLE_KEY:
        a->text[NST_PACK_TITLE] = arg;
        break;
    case YEAR_KEY:
        a->text[NST_PACK_YEAR] = arg;
        break;
    case PREVIEW_KEY:
        a->preview = arg;
        break;
    case PREVIEWS_KEY:
        a->previews = arg;
        break;
    case JSON_KEY:
        a->json = true;
        break;
    case ARGP_KEY_ARG:
        if (a->command)
            set_param(state, "style", arg);
        else
            a->command = arg;
        break;
    case ARGP_KEY_END:
        check_arguments(state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static enum nst_status run(void *arguments, struct nst_err *err)
{
    struct style_arguments *a = arguments;

    if (strcmp(a->command, "pack") == 0)
        return style_pack(a, err);
    if (strcmp(a->command, "blend") == 0)
        return style_blend(a, err);
    return strcmp(a->command, "info") == 0 ? style_info(a, err) : style_list(a, err);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "pack STYLE[:WEIGHT]... -o FILE\nblend PACK[:WEIGHT]... -o FILE\ninfo "
        "PACK\nlist",
        "Make style packs from images or from other packs, describe one, or list those "
        "installed. A style pack replaces style images: nst -s NAME.\v"
        "See man nst-style.",
        NULL,
        NULL,
        NULL};
    struct style_arguments a = {NULL};
    int status;

    nst_params_init(&a.p);
    status = nst_program_main(argc, argv, &argp, &a, run);
    nst_params_clear(&a.p);
    return status;
}
