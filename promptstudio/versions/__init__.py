"""What version control knows: `git.git_facts` for a prompt's file, `git.git_user` for the person."""
